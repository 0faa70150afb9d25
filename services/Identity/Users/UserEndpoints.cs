using System.Text.Json.Nodes;
using Nephos.Hosting.Rest;
using Nephos.Identity.Rest;
using Nephos.Kernel.Errors;

namespace Nephos.Identity.Users;

/// <summary>/v3/users.</summary>
internal static class UserEndpoints
{
    private static readonly Dictionary<string, Func<DateTimeOffset, DateTimeOffset, bool>> TimeComparisons = new(StringComparer.Ordinal)
    {
        ["lt"] = (value, wanted) => value < wanted,
        ["lte"] = (value, wanted) => value <= wanted,
        ["gt"] = (value, wanted) => value > wanted,
        ["gte"] = (value, wanted) => value >= wanted,
        ["eq"] = (value, wanted) => value == wanted,
        ["neq"] = (value, wanted) => value != wanted,
    };

    public static void Map(RestRoutes rest)
    {
        rest.Get("/v3/users", ListAsync);
        rest.Post("/v3/users", async call =>
        {
            var draft = UserJson.ReadDraft(await JsonBody.ReadAsync(call, "user"));
            return One(201, await call.Service<UserService>().CreateAsync(call.Operation, draft, "", call.Cancelled), call);
        });
        rest.Get("/v3/users/{id}", async call =>
            One(200, await call.Service<UserService>().GetAsync(call.Operation, call.Route("id"), call.Cancelled), call));
        rest.Patch("/v3/users/{id}", async call =>
        {
            var patch = UserJson.ReadPatch(await JsonBody.ReadAsync(call, "user"));
            return One(200, await call.Service<UserService>().UpdateAsync(call.Operation, call.Route("id"), patch, call.Cancelled), call);
        });
        rest.Delete("/v3/users/{id}", async call =>
        {
            await call.Service<UserService>().DeleteAsync(call.Operation, call.Route("id"), call.Cancelled);
            return RestResult.Empty(204);
        });
        rest.Post("/v3/users/{id}/password", async call =>
        {
            var body = await JsonBody.ReadAsync(call, "user");
            await call.Service<UserService>().ChangePasswordAsync(
                call.Route("id"), body.RequiredText("original_password"), body.RequiredText("password"), call.Cancelled);
            return RestResult.Empty(204);
        }).Anonymous();
    }

    private static RestResult One(int status, User user, RestCall call) =>
        RestResult.Json(status, new JsonObject { ["user"] = UserJson.Of(user, call) });

    private static async Task<RestResult> ListAsync(RestCall call)
    {
        IEnumerable<User> users = await call.Service<UserService>().ListAsync(call.Operation, call.Cancelled);
        users = call.Where(users, "name", user => user.Name);
        users = call.Where(users, "domain_id", user => user.DomainId);
        users = call.Where(users, "default_project_id", user => user.DefaultProjectId);
        if (call.Flag("enabled") is { } enabled)
        {
            users = users.Where(user => user.Enabled == enabled);
        }
        if (call.Query("password_expires_at") is { } expiry)
        {
            users = WithExpiry(users, expiry);
        }
        if (call.Query("idp_id") is not null || call.Query("protocol_id") is not null || call.Query("unique_id") is not null)
        {
            // Only users of other identity providers have these.
            users = [];
        }
        return call.Collection("users", users, user => user.Id, user => UserJson.Of(user, call));
    }

    private static IEnumerable<User> WithExpiry(IEnumerable<User> users, string asked)
    {
        var colon = asked.IndexOf(':', StringComparison.Ordinal);
        var (name, time) = colon is > 0 and < 4 ? (asked[..colon], asked[(colon + 1)..]) : ("eq", asked);
        const System.Globalization.DateTimeStyles Utc = System.Globalization.DateTimeStyles.AssumeUniversal;
        if (!TimeComparisons.TryGetValue(name, out var holds) ||
            !DateTimeOffset.TryParse(time, System.Globalization.CultureInfo.InvariantCulture, Utc, out var wanted))
        {
            throw Faults.Invalid("password_expires_at", "must be one of lt, lte, gt, gte, eq, neq, a colon, and a time");
        }
        return users.Where(user => user.Password?.ExpiresAt is { } value && holds(value, wanted));
    }
}
