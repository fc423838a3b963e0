"""For looking, not for touching: states change in the engine alone."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .engine import tokens
from .models import AccessToken, FileSession, StoredFile


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Deleting a row here would leave its bytes behind."""
        return False


@admin.register(FileSession)
class FileSessionAdmin(ReadOnlyAdmin):
    list_display = ("filename", "owner", "status", "size", "received_count", "updated_at")
    list_filter = ("status",)
    list_select_related = ("owner",)
    search_fields = ("=id", "filename", "sha256")
    date_hierarchy = "created_at"
    exclude = ("received",)


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "state", "created_at")
    list_filter = ("state",)
    search_fields = ("=id", "sha256")


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "created_at", "expires_at", "revoked_at")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    exclude = ("digest",)
    actions = ("revoke",)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("uploads.change_accesstoken")

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        count = tokens.revoke(queryset)
        self.message_user(request, f"{count} revoked. Scripts that send them are refused now.")
