"""Boxes: annotation formats, repair, scores, a breakdown of the errors, pictures, and submission cells.

Truth frame: ``image_id``, ``path``, ``width``, ``height`` and, in each row, parallel lists: ``boxes``
([x1, y1, x2, y2] in pixels of the image as it is decoded), ``labels`` (class names), ``crowd`` (1: neither
trained on nor counted), ``masks`` (JSON of COCO polygons or compressed run lengths, or an empty text), and
optionally ``areas`` (square pixels of the object).

Predictions frame: ``image_id`` and the parallel lists ``boxes``, ``scores`` (descending), ``labels`` and
optionally ``masks``.
"""
