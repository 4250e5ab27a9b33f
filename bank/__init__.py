"""The institution: staff and branches, the audit trail, the calendar, settings, the database.

What would still be true if the assistant were switched off.
"""
