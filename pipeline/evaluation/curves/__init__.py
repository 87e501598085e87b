"""From fits at many sizes to the answer: from how many images on which era is ahead, how surely, and what more brings.

measured.py     what the fits of each method say, size by size
replicates.py   the same errors with other seeds and other test images: the bootstrap
forms.py        curves through them, and beyond
crossing.py     where one era overtakes the other
outlook.py      what more images would bring
described.py    all of it, as metrics.json holds it
"""
