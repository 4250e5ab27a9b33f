"""A demo bank with a year behind it, a simulated WeCom, a guide, and a story that plays itself."""
