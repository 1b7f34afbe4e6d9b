"""14: does the loop of synthesis, imitation and reinforcement pay once it is closed?"""
