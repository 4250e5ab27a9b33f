"""Who and what earned the conversion: touchpoints 触点, conversions 转化, credit 归因份额."""
