"""13: do small models follow instructions, and how many layers does that take?"""
