"""What this process has counted since it started; `/metrics` shows it to Prometheus.

Counted when it happens: what a failing commit takes back stays counted. The tables are the truth.
"""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("siyu_events", "Callbacks, by what became of them.", ["outcome"])
MESSAGES = Counter("siyu_messages", "Customers' messages, by what became of them.", ["outcome"])
SUGGESTIONS = Counter("siyu_suggestions", "Suggested replies, by the state reached.", ["state"])
SUGGESTION_SECONDS = Histogram(
    "siyu_suggestion_seconds",
    "Seconds of making a reply, by part.",
    ["part"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
TOUCHES = Counter("siyu_touches", "Touches, by the outcome of a try.", ["outcome"])
WELCOMES = Counter("siyu_welcomes", "Welcomes, by what became of them.", ["state"])
WELCOME_SECONDS = Histogram(
    "siyu_welcome_seconds",
    "Seconds from a customer's arrival, by WeCom's clock, to the welcome sent.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20),
)
PAIRS = Counter("siyu_callback_keys", "Callbacks opened, by the pair of token and key.", ["pair"])
SPOOLED = Gauge("siyu_spool_records", "Callbacks on this machine's disk: the database was away.")
SHED = Counter(
    "siyu_pages_shed", "Pages refused so that callbacks go on, by the reason.", ["reason"]
)
OPENINGS = Counter("siyu_openings", "Openings of links, by what became of them.", ["outcome"])
MISSED = Counter(
    "siyu_missed_callbacks", "Differences from WeCom that no callback mended.", ["what"]
)
