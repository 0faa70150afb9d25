using System.Text.Json.Nodes;
using Nephos.BlockStorage.Exports;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>Exports over REST; an extension of ours, in no microversion.</summary>
internal sealed class CinderExports(ExportService exports, ExportListeners listeners)
{
    public void Map(CinderRoutes routes)
    {
        routes.Get("/exports", ListAsync);
        routes.Post("/exports", CreateAsync);
        routes.Get("/exports/{id}", async call => RestResult.Json(
            200, new JsonObject { ["export"] = Show(await exports.GetAsync(call.Operation, call.Route("id"), call.Cancelled)) }));
        routes.Delete("/exports/{id}", DeleteAsync);
    }

    private async Task<RestResult> ListAsync(RestCall call)
    {
        var all = await exports.ListAsync(call.Operation, CinderRoutes.AsksForAllProjects(call), call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["exports"] = new JsonArray([.. all.Select(Show)]) });
    }

    private async Task<RestResult> CreateAsync(RestCall call)
    {
        var body = await CinderInput.ReadAsync(call, "export");
        var seconds = CinderInput.Number(body, "lifetime_seconds");
        if (seconds is < 0 or > int.MaxValue) throw Faults.Invalid("lifetime_seconds", "is out of bounds");
        var wish = new ExportWish(
            CinderInput.Text(body, "snapshot_id"), CinderInput.Text(body, "backup_id"), seconds is { } given ? TimeSpan.FromSeconds(given) : null, IdempotencyKey: "");
        var made = await exports.CreateAsync(call.Operation, wish, call.Cancelled);
        var json = Show(made);
        json["export_name"] = made.Name;
        json["address"] = listeners.Address;
        if (call.Operation.IsAdmin) json["socket_path"] = listeners.SocketPath;
        if (listeners.MakeCredentials(made) is var (authority, certificate, key))
        {
            json["uri"] = $"nbds://{listeners.Address}/{made.Name}";
            json["authority_certificate"] = authority;
            json["client_certificate"] = certificate;
            json["client_key"] = key;
        }
        return RestResult.Json(202, new JsonObject { ["export"] = json });
    }

    private async Task<RestResult> DeleteAsync(RestCall call)
    {
        await exports.DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
        return RestResult.Empty(202);
    }

    private static JsonObject Show(Export export) => new()
    {
        ["id"] = export.Id,
        ["snapshot_id"] = export.SnapshotId,
        ["backup_id"] = export.BackupId,
        ["size_bytes"] = export.SizeBytes,
        ["created_at"] = CinderViews.Time(export.CreatedAt),
        ["expires_at"] = CinderViews.Time(export.ExpiresAt),
    };
}
