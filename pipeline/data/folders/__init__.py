"""A folder of images, as people have it: what its folders mean, and which of its files are images.

names.py         names of splits in any spelling, and of what systems and tools leave behind
contents.py      what lies in a folder, and images below it
arrangement.py   classes, or splits that hold classes; what is unclear is refused
classes.py       folders of one class, however their names are written
label_file.py    what a file says of the images in a flat folder (ImageNet's ground truth)
lookup.py        the file that a table means
"""
