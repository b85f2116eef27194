"""Datasets: images, folders of pictures, arrays, and address events of cameras and cochleas.

Every loader gives a `Dataset` with the parts ``train`` and ``test`` and int64 labels ``[n]``;
`Dataset.split_validation` gives training, validation and test. A part is a `Split` of uint8 images,
bright ink on black, an `ArraySplit` of arrays of any shape, or an `EventSplit` of address events.
`load_digits` works offline; nothing is downloaded unless it is asked for. `info` and `catalogue`
tell of published sets their sizes, licence, checksums and where to get them.
"""

from biosnn.datasets.arrays import ArraySplit
from biosnn.datasets.catalogue import DatasetInfo, catalogue, info
from biosnn.datasets.event_files import read_events
from biosnn.datasets.events import (
    EventSplit,
    crop_time,
    pool,
    select_polarity,
    to_frames,
)
from biosnn.datasets.folder import load_folder
from biosnn.datasets.loading import (
    load_dataset,
    load_digits,
    load_fashion_mnist,
    load_mnist,
)
from biosnn.datasets.numpy_files import load_arrays
from biosnn.datasets.parts import Dataset, Split, train_validation_split
from biosnn.datasets.picture import SIDE, load_image
from biosnn.datasets.published_events import load_nmnist, load_shd, load_ssc
from biosnn.datasets.tonic_events import from_tonic
