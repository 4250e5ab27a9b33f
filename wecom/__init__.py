"""Enterprise WeChat (企业微信) in its own words: what it calls, what it can be asked, how it fails.

Nothing here knows the bank. `callback` and `events` are what comes in, `client` and the files of
its groups what goes out, `calls` how; `archive` what was said, `errors` what to do about a refusal.
"""
