"""News about dictionaries and datasets, sent inside the transaction of the change; receivers may refuse."""

from django.dispatch import Signal

# study, dictionary (DictionaryVersion)
dictionary_published = Signal()
# dataset; sent when it is registered, checked again or withdrawn
dataset_changed = Signal()
