"""The one way by which words reach a customer: checked, written down, and only then sent."""
