"""What WeCom sends: taken in before it is answered, then handled, each once and in order."""
