"""What touches tensors: models, training, generation."""

import os

# Idle OpenMP threads that spin cost a busy machine ten times the speed; read once, when torch is first
# imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
