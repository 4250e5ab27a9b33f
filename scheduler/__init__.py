"""SOP touch sequences: enrolment, plan, gates, sending, results, the clock."""
