"""Fitted models of every family: one promise, one way to fit them, one folder to keep them in.

model.py         the contract: uint8 images in, float32 scores out
recipe.py        what decides what a method becomes, beside the images
fitted.py        what fitting returns
feature_vectors.py  from images to the vectors that an SVM learns from
feature_svm.py, matcher.py, network.py, fusion.py    the two halves, fitting and scoring, of each family
families.py      the four of them by name
space.py, familiarity.py    where training images lie, and what tells images of none of the classes
look.py          scores of images, and how strange each one is
card.py, folder.py    a fitted model as a folder
delivery.py      what every method leaves when it is fitted
"""
