"""What this process has counted since it started; `/metrics` shows it to Prometheus.

Counted when it happens: what a failing commit takes back stays counted. The tables are the truth.
"""

from prometheus_client import Counter

EVENTS = Counter("siyu_events", "Callbacks, by what became of them.", ["outcome"])
MESSAGES = Counter("siyu_messages", "Customers' messages, by what became of them.", ["outcome"])
SUGGESTIONS = Counter("siyu_suggestions", "Suggested replies, by the state reached.", ["state"])
TOUCHES = Counter("siyu_touches", "Touches, by the outcome of a try.", ["outcome"])
