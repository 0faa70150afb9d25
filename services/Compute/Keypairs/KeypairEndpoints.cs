using System.Text.Json.Nodes;
using Nephos.Compute.Rest;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Keypairs;

internal static class KeypairEndpoints
{
    public static void Map(RestRoutes rest, string root)
    {
        rest.Get(root + "/os-keypairs", ListAsync);
        rest.Post(root + "/os-keypairs", CreateAsync);
        rest.Get(root + "/os-keypairs/{name}", async call =>
        {
            var pair = await Service(call).GetAsync(call.Operation, call.Route("name"), User(call), call.Cancelled);
            var json = Basic(call, pair);
            json["user_id"] = pair.UserId;
            json["created_at"] = RestParts.Micros(pair.CreatedAt);
            json["deleted"] = false;
            json["deleted_at"] = null;
            json["id"] = pair.Number;
            json["updated_at"] = null;
            return RestResult.Json(200, new JsonObject { ["keypair"] = json });
        });
        rest.Delete(root + "/os-keypairs/{name}", async call =>
        {
            await Service(call).DeleteAsync(call.Operation, call.Route("name"), User(call), call.Cancelled);
            return RestResult.Empty(call.From(2) ? 204 : 202);
        });
    }

    private static KeypairService Service(RestCall call) => call.Service<KeypairService>();

    private static string? User(RestCall call) => call.From(10) ? call.Query("user_id") : null;

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        var all = await Service(call).ListAsync(call.Operation, User(call), call.Cancelled);
        var (items, more) = call.From(35)
            ? call.Page(all, pair => pair.Name, $"Marker {call.Query("marker")} could not be found")
            : (all, false);
        var answer = new JsonObject { ["keypairs"] = RestParts.Array(items.Select(pair => new JsonObject { ["keypair"] = Basic(call, pair) })) };
        if (more)
        {
            call.AddNext(answer, "keypairs_links", "os-keypairs", items[^1].Name);
        }
        return RestResult.Json(200, answer);
    }

    private static async Task<RestResult> CreateAsync(RestCall call)
    {
        var fields = Fields.Root(await call.ReadJsonAsync(), "keypair");
        string[] names = ["name", "public_key"];
        if (call.From(2))
        {
            names = [.. names, "type"];
        }
        if (call.From(10))
        {
            names = [.. names, "user_id"];
        }
        fields.Only(names);
        if (call.From(92) && !fields.Has("public_key"))
        {
            throw ComputeFaults.Refers("public_key", "Invalid input for field/attribute keypair. 'public_key' is a required property");
        }
        var type = fields.Text("type") switch
        {
            null or "ssh" => KeypairType.Ssh,
            "x509" => KeypairType.X509,
            var other => throw ComputeFaults.Refers("type", $"Invalid input for field/attribute type. Value: {other}. '{other}' is not one of ['ssh', 'x509']"),
        };
        var (pair, privateKey) = await Service(call).CreateAsync(
            call.Operation,
            new KeypairWish(fields.Required("name"), type, fields.Text("public_key"), KeyAlgorithm.Rsa, fields.Text("user_id"), null),
            call.Cancelled);
        var json = Basic(call, pair);
        json["user_id"] = pair.UserId;
        if (privateKey is not null)
        {
            json["private_key"] = privateKey;
        }
        return RestResult.Json(call.From(2) ? 201 : 200, new JsonObject { ["keypair"] = json });
    }

    private static JsonObject Basic(RestCall call, Keypair pair)
    {
        var json = new JsonObject { ["name"] = pair.Name, ["public_key"] = pair.PublicKey, ["fingerprint"] = pair.Fingerprint };
        if (call.From(2))
        {
            json["type"] = pair.Type == KeypairType.X509 ? "x509" : "ssh";
        }
        return json;
    }
}
