"""Customer groups 客户群: what is said in them, what is asked, what can be answered before all."""
