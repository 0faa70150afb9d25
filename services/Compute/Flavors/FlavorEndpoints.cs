using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;
using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Flavors;

internal static class FlavorEndpoints
{
    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/flavors", call => ListAsync(call, detail: false));
        rest.Get(root + "/flavors/detail", call => ListAsync(call, detail: true));
        rest.Get(root + "/flavors/{id}", async call => Answer(call, await FindAsync(call)));
        rest.Post(root + "/flavors", CreateAsync);
        rest.Put(root + "/flavors/{id}", UpdateAsync);
        rest.Delete(root + "/flavors/{id}", async call =>
        {
            await Service(call).DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(202);
        });
        rest.Get(root + "/flavors/{id}/os-extra_specs", async call =>
            RestResult.Json(200, new JsonObject { ["extra_specs"] = RestParts.Map((await FindAsync(call)).ExtraSpecs) }));
        rest.Post(root + "/flavors/{id}/os-extra_specs", SetExtraSpecsAsync);
        rest.Get(root + "/flavors/{id}/os-extra_specs/{key}", async call =>
            RestResult.Json(200, new JsonObject { [call.Route("key")] = ExtraSpec(await FindAsync(call), call.Route("key")) }));
        rest.Put(root + "/flavors/{id}/os-extra_specs/{key}", SetExtraSpecAsync);
        rest.Delete(root + "/flavors/{id}/os-extra_specs/{key}", async call =>
        {
            await Service(call).UpdateExtraSpecsAsync(
                call.Operation, call.Route("id"), new Dictionary<string, string>(), [call.Route("key")], call.Cancelled);
            return RestResult.Empty(200);
        });
        rest.Get(root + "/flavors/{id}/os-flavor-access", async call =>
        {
            call.Operation.RequireAdmin("os_compute_api:os-flavor-access");
            var flavor = await FindAsync(call);
            return flavor.Public
                ? throw new FaultException(ErrorReason.NotFound, "Access list not available for public flavors.")
                : RestResult.Json(200, Access(flavor));
        });
        rest.Post(root + "/flavors/{id}/action", ActAsync);
    }

    /// <summary>The flavor as an instance shows it from microversion 2.47 on.</summary>
    public static JsonObject Embedded(RestCall call, Flavor flavor)
    {
        var json = new JsonObject
        {
            ["vcpus"] = flavor.Vcpus,
            ["ram"] = flavor.MemoryMib,
            ["disk"] = flavor.RootGib,
            ["ephemeral"] = flavor.EphemeralGib,
            ["swap"] = flavor.SwapMib,
            ["original_name"] = flavor.Name,
        };
        json["extra_specs"] = RestParts.Map(flavor.ExtraSpecs);
        return json;
    }

    private static FlavorService Service(RestCall call) => call.Service<FlavorService>();

    private static Task<Flavor> FindAsync(RestCall call) => Service(call).GetAsync(call.Operation, call.Route("id"), call.Cancelled);

    private static RestResult Answer(RestCall call, Flavor flavor) => RestResult.Json(200, new JsonObject { ["flavor"] = Json(call, flavor, detail: true) });

    private static async Task<RestResult> ListAsync(RestCall call, bool detail)
    {
        var visibility = call.Query("is_public") switch
        {
            null => FlavorVisibility.Usable,
            "None" or "none" or "NONE" => FlavorVisibility.All,
            _ => call.QueryBool("is_public") == true ? FlavorVisibility.Public : FlavorVisibility.Private,
        };
        // Only administrators may ask for what others have.
        var found = await Service(call).ListAsync(call.Operation, call.Operation.IsAdmin ? visibility : FlavorVisibility.Usable, call.Cancelled);
        var minRam = Number(call, "minRam");
        var minDisk = Number(call, "minDisk");
        var sorted = Sorted(call, found.Where(flavor => flavor.MemoryMib >= minRam && flavor.RootGib >= minDisk));
        var (items, more) = call.Page(sorted, flavor => flavor.Id);
        var answer = new JsonObject { ["flavors"] = RestParts.Array(items.Select(flavor => Json(call, flavor, detail))) };
        if (more)
        {
            call.AddNext(answer, "flavors_links", detail ? "flavors/detail" : "flavors", items[^1].Id);
        }
        return RestResult.Json(200, answer);
    }

    private static IReadOnlyList<Flavor> Sorted(RestCall call, IEnumerable<Flavor> flavors)
    {
        Func<Flavor, IComparable> key = call.Query("sort_key") switch
        {
            null or "flavorid" => flavor => flavor.Id,
            "name" => flavor => flavor.Name,
            "memory_mb" => flavor => flavor.MemoryMib,
            "vcpus" => flavor => flavor.Vcpus,
            "root_gb" => flavor => flavor.RootGib,
            "ephemeral_gb" => flavor => flavor.EphemeralGib,
            "swap" => flavor => flavor.SwapMib,
            "created_at" or "id" => flavor => flavor.CreatedAt,
            "rxtx_factor" => flavor => flavor.RxtxFactor,
            "is_public" => flavor => flavor.Public,
            _ => throw ComputeFaults.Refers("sort_key", "Invalid input for query parameters sort_key: no such key"),
        };
        var comparer = Comparer<IComparable>.Create((left, right) =>
            left is string text ? string.CompareOrdinal(text, (string)right) : left.CompareTo(right));
        return call.Query("sort_dir") == "desc"
            ? [.. flavors.OrderByDescending(key, comparer).ThenByDescending(flavor => flavor.Id, StringComparer.Ordinal)]
            : [.. flavors.OrderBy(key, comparer).ThenBy(flavor => flavor.Id, StringComparer.Ordinal)];
    }

    private static long Number(RestCall call, string name) => call.Query(name) is not { } text ? 0
        : long.TryParse(text, out var number) && number >= 0 ? number
        : throw ComputeFaults.Refers(name, $"Invalid {name} filter [{(text.Length > 64 ? text[..64] : text)}]");

    private static async Task<RestResult> CreateAsync(RestCall call)
    {
        call.Operation.RequireAdmin("os_compute_api:os-flavor-manage:create");
        var fields = Fields.Root(await call.ReadJsonAsync(), "flavor");
        string[] names = ["name", "ram", "vcpus", "disk", "id", "swap", "OS-FLV-EXT-DATA:ephemeral", "rxtx_factor", "os-flavor-access:is_public"];
        fields.Only(call.From(55) ? [.. names, "description"] : names);
        var flavor = await Service(call).CreateAsync(call.Operation, new Flavor
        {
            Id = fields.IsNull("id") || !fields.Has("id") ? "" : fields.TextOrNumber("id") is var id && id != "auto" ? id : "",
            Name = fields.Required("name"),
            Description = call.From(55) ? fields.TextOrNull("description") : null,
            Vcpus = (int)(fields.Integer("vcpus", 1, int.MaxValue) ?? throw Missing("vcpus")),
            MemoryMib = fields.Integer("ram", 1, int.MaxValue) ?? throw Missing("ram"),
            RootGib = fields.Integer("disk", 0, int.MaxValue) ?? throw Missing("disk"),
            EphemeralGib = fields.Integer("OS-FLV-EXT-DATA:ephemeral", 0, int.MaxValue) ?? 0,
            SwapMib = fields.IsText("swap") && fields.Text("swap") == "" ? 0 : fields.Integer("swap", 0, int.MaxValue) ?? 0,
            RxtxFactor = fields.Number("rxtx_factor") ?? 1,
            Public = fields.Bool("os-flavor-access:is_public") ?? true,
        }, call.Cancelled);
        return Answer(call, flavor);
    }

    private static async Task<RestResult> UpdateAsync(RestCall call)
    {
        call.RequireFrom(55);
        var fields = Fields.Root(await call.ReadJsonAsync(), "flavor").Only("description");
        if (!fields.Has("description"))
        {
            throw Missing("description");
        }
        return Answer(call, await Service(call).SetDescriptionAsync(call.Operation, call.Route("id"), fields.TextOrNull("description"), call.Cancelled));
    }

    private static async Task<RestResult> SetExtraSpecsAsync(RestCall call)
    {
        var specs = new Fields(await call.ReadJsonAsync()).Only("extra_specs").Map("extra_specs") ?? throw Missing("extra_specs");
        await Service(call).UpdateExtraSpecsAsync(call.Operation, call.Route("id"), specs, [], call.Cancelled);
        return RestResult.Json(200, new JsonObject { ["extra_specs"] = RestParts.Map(specs) });
    }

    private static async Task<RestResult> SetExtraSpecAsync(RestCall call)
    {
        var key = call.Route("key");
        var fields = new Fields(await call.ReadJsonAsync());
        if (fields.Names.Count() != 1 || !fields.Has(key))
        {
            throw ComputeFaults.Refers(key, "Request body and URI mismatch");
        }
        var value = fields.Required(key);
        await Service(call).UpdateExtraSpecsAsync(
            call.Operation, call.Route("id"), new Dictionary<string, string> { [key] = value }, [], call.Cancelled);
        return RestResult.Json(200, new JsonObject { [key] = value });
    }

    private static string ExtraSpec(Flavor flavor, string key) => flavor.ExtraSpecs.GetValueOrDefault(key)
        ?? throw new FaultException(ErrorReason.NotFound, $"Flavor {flavor.Id} has no extra specs with key {key}.");

    private static async Task<RestResult> ActAsync(RestCall call)
    {
        var body = await call.ReadJsonAsync();
        if (body.ContainsKey("addTenantAccess"))
        {
            var project = Fields.Root(body, "addTenantAccess").Only("tenant").Required("tenant");
            return RestResult.Json(200, Access(await Service(call).AddAccessAsync(call.Operation, call.Route("id"), project, call.Cancelled)));
        }
        if (body.ContainsKey("removeTenantAccess"))
        {
            var project = Fields.Root(body, "removeTenantAccess").Only("tenant").Required("tenant");
            return RestResult.Json(200, Access(await Service(call).RemoveAccessAsync(call.Operation, call.Route("id"), project, call.Cancelled)));
        }
        throw ComputeFaults.Refers("body", "There is no such action.");
    }

    private static JsonObject Access(Flavor flavor) => new()
    {
        ["flavor_access"] = RestParts.Array(flavor.ProjectIds.Select(project => new JsonObject { ["flavor_id"] = flavor.Id, ["tenant_id"] = project })),
    };

    private static JsonObject Json(RestCall call, Flavor flavor, bool detail)
    {
        var json = new JsonObject { ["id"] = flavor.Id, ["name"] = flavor.Name };
        if (detail)
        {
            json["ram"] = flavor.MemoryMib;
            json["disk"] = flavor.RootGib;
            json["swap"] = flavor.SwapMib == 0 && !call.From(75) ? "" : flavor.SwapMib;
            json["OS-FLV-EXT-DATA:ephemeral"] = flavor.EphemeralGib;
            json["OS-FLV-DISABLED:disabled"] = false;
            json["vcpus"] = flavor.Vcpus;
            json["os-flavor-access:is_public"] = flavor.Public;
            json["rxtx_factor"] = JsonValue.Create(flavor.RxtxFactor);
        }
        json["links"] = call.Links($"flavors/{flavor.Id}");
        if (call.From(55))
        {
            json["description"] = flavor.Description;
        }
        if (detail && call.From(61))
        {
            json["extra_specs"] = RestParts.Map(flavor.ExtraSpecs);
        }
        return json;
    }

    private static FaultException Missing(string name) =>
        ComputeFaults.Refers(name, $"Invalid input for field/attribute body. '{name}' is a required property");
}
