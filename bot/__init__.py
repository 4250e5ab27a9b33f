"""What WeCom calls, and what an RM sees beside a chat. The roof: imports everyone."""
