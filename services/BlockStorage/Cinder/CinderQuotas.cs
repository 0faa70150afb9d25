using System.Text.Json.Nodes;
using Nephos.BlockStorage.Quotas;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.BlockStorage.Cinder;

/// <summary>What a project may use, over REST.</summary>
internal sealed class CinderQuotas(QuotaService quotas)
{
    public void Map(CinderRoutes routes)
    {
        routes.Get("/limits", LimitsAsync);
        routes.Get("/os-quota-sets/{target}", ShowAsync);
        routes.Get("/os-quota-sets/{target}/defaults", ShowDefaultsAsync);
        routes.Put("/os-quota-sets/{target}", SetAsync);
        routes.Delete("/os-quota-sets/{target}", ResetAsync);
        routes.Get("/os-quota-class-sets/{target}", ShowClassAsync);
        routes.Put("/os-quota-class-sets/{target}", SetClassAsync);
    }

    private async Task<RestResult> LimitsAsync(RestCall call)
    {
        var quota = await quotas.GetAsync(call.Operation, call.Query("project_id") ?? call.Operation.RequireProject(), call.Cancelled);
        return RestResult.Json(200, new JsonObject
        {
            ["limits"] = new JsonObject
            {
                ["rate"] = new JsonArray(),
                ["absolute"] = new JsonObject
                {
                    ["maxTotalVolumes"] = quota[QuotaResources.Volumes].Limit,
                    ["maxTotalVolumeGigabytes"] = quota[QuotaResources.Gigabytes].Limit,
                    ["maxTotalSnapshots"] = quota[QuotaResources.Snapshots].Limit,
                    ["maxTotalBackups"] = quota[QuotaResources.Backups].Limit,
                    ["maxTotalBackupGigabytes"] = quota[QuotaResources.BackupGigabytes].Limit,
                    ["totalVolumesUsed"] = quota[QuotaResources.Volumes].Used,
                    ["totalGigabytesUsed"] = quota[QuotaResources.Gigabytes].Used,
                    ["totalSnapshotsUsed"] = quota[QuotaResources.Snapshots].Used,
                    ["totalBackupsUsed"] = quota[QuotaResources.Backups].Used,
                    ["totalBackupGigabytesUsed"] = quota[QuotaResources.BackupGigabytes].Used,
                },
            },
        });
    }

    private async Task<RestResult> ShowAsync(RestCall call)
    {
        var quota = await quotas.GetAsync(call.Operation, call.Route("target"), call.Cancelled);
        return Answer("quota_set", quota, CinderInput.QueryFlag(call, "usage") == true, withId: true);
    }

    private async Task<RestResult> ShowDefaultsAsync(RestCall call) =>
        Answer("quota_set", await quotas.GetDefaultsAsync(call.Route("target"), call.Cancelled), usage: false, withId: true);

    private async Task<RestResult> SetAsync(RestCall call)
    {
        var limits = Limits(await CinderInput.ReadAsync(call, "quota_set"));
        return Answer("quota_set", await quotas.SetAsync(call.Operation, call.Route("target"), limits, call.Cancelled), usage: false, withId: false);
    }

    private async Task<RestResult> ResetAsync(RestCall call)
    {
        await quotas.ResetAsync(call.Operation, call.Route("target"), call.Cancelled);
        return RestResult.Empty(200);
    }

    private async Task<RestResult> ShowClassAsync(RestCall call) =>
        Answer("quota_class_set", await quotas.GetClassAsync(call.Operation, call.Route("target"), call.Cancelled), usage: false, withId: true);

    private async Task<RestResult> SetClassAsync(RestCall call)
    {
        var limits = Limits(await CinderInput.ReadAsync(call, "quota_class_set"));
        return Answer("quota_class_set", await quotas.SetClassAsync(call.Operation, call.Route("target"), limits, call.Cancelled), usage: false, withId: false);
    }

    // Clients send back what they read, the id and the name of the project included.
    private static Dictionary<string, long> Limits(JsonObject body) => body
        .Where(item => item.Key is not ("id" or "tenant_id" or "project_id" or "class_name" or "force" or "skip_validation"))
        .ToDictionary(
            item => item.Key,
            item => QuotaService.CheckLimit(item.Key, CinderInput.Number(body, item.Key) ?? throw Faults.Invalid(item.Key, "must be a number")));

    private static RestResult Answer(string name, ProjectQuota quota, bool usage, bool withId)
    {
        var set = new JsonObject();
        foreach (var (resource, entry) in quota.Entries)
        {
            set[resource] = usage
                ? new JsonObject { ["limit"] = entry.Limit, ["in_use"] = entry.Used, ["reserved"] = 0, ["allocated"] = 0 }
                : entry.Limit;
        }
        if (withId) set["id"] = quota.ProjectId;
        return RestResult.Json(200, new JsonObject { [name] = set });
    }
}
