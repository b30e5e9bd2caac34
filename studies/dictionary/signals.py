"""News about dictionaries and datasets, sent inside the transaction of the change; receivers may refuse."""

from django.dispatch import Signal

# A version was published: dictionary (DictionaryVersion), by
dictionary_published = Signal()
# A dataset (dataset, by) was registered, checked again or withdrawn.
dataset_changed = Signal()
