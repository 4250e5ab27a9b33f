"""What opens an uploaded file: a child process under limits, and nothing of ours beside it."""
