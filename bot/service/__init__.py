"""微信客服: the one channel that may answer without a person."""
