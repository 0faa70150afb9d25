using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.DomainSettings;

/// <summary>/v3/domains/{id}/config and /v3/domains/config/default, whole, by group and by option.</summary>
internal static class DomainSettingsEndpoints
{
    public static void Map(RestRoutes rest)
    {
        foreach (var below in (ReadOnlySpan<string>)["", "/{group}", "/{group}/{option}"])
        {
            rest.Get($"/v3/domains/config{below}/default", call => Task.FromResult(
                Config(200, call.Service<DomainSettingsService>().GetDefault(call.Operation, Group(call), Option(call)))));
            var path = $"/v3/domains/{{id}}/config{below}";
            rest.Get(path, async call => Config(200, await call.Service<DomainSettingsService>().GetAsync(
                call.Operation, call.Route("id"), Group(call), Option(call), call.Cancelled)));
            rest.Patch(path, async call => Config(200, await call.Service<DomainSettingsService>().UpdateAsync(
                call.Operation, call.Route("id"), await ReadAsync(call), call.Cancelled)));
            rest.Delete(path, async call =>
            {
                await call.Service<DomainSettingsService>().DeleteAsync(call.Operation, call.Route("id"), Group(call), Option(call), call.Cancelled);
                return RestResult.Empty(204);
            });
        }
        rest.Put("/v3/domains/{id}/config", async call =>
        {
            var (groups, isNew) = await call.Service<DomainSettingsService>().ReplaceAsync(
                call.Operation, call.Route("id"), await ReadAsync(call), call.Cancelled);
            return Config(isNew ? 201 : 200, groups);
        });
    }

    private static string? Group(RestCall call) => call.Route("group") is { Length: > 0 } group ? group : null;

    private static string? Option(RestCall call) => call.Route("option") is { Length: > 0 } option ? option : null;

    private static RestResult Config(int status, JsonObject groups) => RestResult.Json(status, new JsonObject { ["config"] = groups });

    /// <summary>What the body sets, by group. The body of a call for a group or an option must set that one and no other.</summary>
    private static async Task<JsonObject> ReadAsync(RestCall call)
    {
        var config = (JsonObject)(await JsonBody.ReadAsync(call, "config")).Json.DeepClone();
        if (Group(call) is not { } group)
        {
            return config;
        }
        if (Option(call) is { } option)
        {
            // The option stands alone; some clients wrap it in its group.
            var options = config[group] as JsonObject ?? config;
            return options.Count == 1 && options.ContainsKey(option)
                ? new JsonObject { [group] = options.DeepClone() }
                : throw Faults.Invalid("config", $"must have the option {option} of the path and no other");
        }
        return config.Count == 1 && config[group] is JsonObject
            ? config
            : throw Faults.Invalid("config", $"must have the group {group} of the path and no other");
    }
}
