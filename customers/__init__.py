"""Customers 客户, their RMs, tags, consent and holdings."""
