"""For looking, not for touching: states change in the engine alone."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .engine import tokens
from .models import AccessToken, FileSession, SessionEvent, StoredFile, TokenScope, Usage


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Deleting a row here would leave its bytes behind."""
        return False


class EventInline(admin.TabularInline):  # type: ignore[type-arg]
    model = SessionEvent
    fields = ("at", "kind", "detail")
    readonly_fields = fields
    ordering = ("at", "id")
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(FileSession)
class FileSessionAdmin(ReadOnlyAdmin):
    list_display = ("path", "owner", "status", "kind", "size", "updated_at", "trashed_at")
    list_filter = ("status", "kind", ("trashed_at", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("=id", "filename", "folder", "sha256")
    inlines = (EventInline,)
    date_hierarchy = "created_at"
    exclude = ("received",)


@admin.register(StoredFile)
class StoredFileAdmin(ReadOnlyAdmin):
    list_display = ("sha256", "size", "state", "created_at")
    list_filter = ("state",)
    search_fields = ("=id", "sha256")


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin):
    list_display = ("owner", "stored_files", "stored_bytes")
    list_select_related = ("owner",)
    search_fields = ("owner__username",)


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "owner",
        "may",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    list_filter = ("may_read", "may_upload", "may_delete")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    exclude = ("digest",)
    readonly_fields = ("may", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    @admin.display(description="may")
    def may(self, token: AccessToken) -> str:
        return ", ".join(scope for scope in TokenScope if scope in token.scopes)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("uploads.change_accesstoken")

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessToken]) -> None:
        count = tokens.revoke(queryset)
        self.message_user(request, f"{count} revoked. Scripts that send them are refused now.")
