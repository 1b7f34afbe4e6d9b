"""What touches tensors: models, training, generation."""

import os

# Both are read when torch is first imported. Idle threads that spin cost a busy machine ten times the speed.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Memory in huge pages: getting it in small ones anew at each step costs up to a fifth of a training's time.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
