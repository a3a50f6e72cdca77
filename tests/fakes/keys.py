"""A key manager that keeps keys in memory."""

import uuid
from typing import Any

from castellan.common import exception
from castellan.key_manager import key_manager

PATH = f'{__name__}.Keys'
KEPT: dict[str, Any] = {}


class Keys(key_manager.KeyManager):
    """As far as drivers use one."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration

    def create_key(self, context: Any, *args: Any, **kwargs: Any) -> str:
        raise NotImplementedError

    def create_key_pair(self, context: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
        raise NotImplementedError

    def store(self, context: Any, managed_object: Any, expiration: Any = None) -> str:
        key_id = str(uuid.uuid4())
        KEPT[key_id] = managed_object
        return key_id

    def get(self, context: Any, managed_object_id: str, metadata_only: bool = False) -> Any:
        try:
            return KEPT[managed_object_id]
        except KeyError:
            raise exception.ManagedObjectNotFoundError(uuid=managed_object_id) from None

    def delete(self, context: Any, managed_object_id: str, force: bool = False) -> None:
        if KEPT.pop(managed_object_id, None) is None:
            raise exception.ManagedObjectNotFoundError(uuid=managed_object_id)

    def add_consumer(self, context: Any, managed_object_id: str, consumer_data: Any) -> None:
        raise NotImplementedError

    def remove_consumer(self, context: Any, managed_object_id: str, consumer_data: Any) -> None:
        raise NotImplementedError

    def list(self, context: Any, object_type: Any = None, metadata_only: bool = False) -> list[Any]:
        return list(KEPT.values())
