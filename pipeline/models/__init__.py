"""Fitted models of every family: one promise, one way to fit them, one folder to keep them in.

model.py         the contract: uint8 images in, float32 scores out; what fitting returns
recipe.py        what decides what a method becomes, beside the images
feature_vectors.py  from images to the vectors that an SVM learns from
feature_svm.py, matcher.py, network.py, fusion.py    the two halves, fitting and scoring, of each family
families.py      the four of them by name
card.py, folder.py    a fitted model as a folder
"""
