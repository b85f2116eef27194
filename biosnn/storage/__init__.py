"""Save and load trained models and states, in one file without pickle.

A ``.biosnn`` file is a safetensors file. Its tensors are the arrays of the state and of the
readout; its metadata hold the network's declaration (with all parameters and their units), what
samples are and what is done to them before they are shown, the names of the classes, where the
model comes from, and a SHA-256 over the whole file.

>>> from biosnn import storage
>>> storage.save_model(model, "digits.biosnn")  # doctest: +SKIP
>>> storage.load_model("digits.biosnn").classify(images)  # doctest: +SKIP
array([7, 2, 1, -1])
"""

from biosnn.files import SUFFIX, check_target
from biosnn.storage.from_surrogate import surrogate_model
from biosnn.storage.layered_model import LayeredModel
from biosnn.storage.model import provenance
from biosnn.storage.saving import load_model, load_state, save_model, save_state
from biosnn.storage.trained_model import TrainedModel
