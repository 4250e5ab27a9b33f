"""`siyu evidence`: everything that was kept about a customer or a touch, in files one can check.

gathering  the rows, in one snapshot
moments    why something was sent: levels, consent, relation and verdict at that moment
masked     the same without personal data
pack       the files, their chained and signed manifest, the page to read
checking   whether a pack is as it was made
permitted  who may take personal data with it
"""
