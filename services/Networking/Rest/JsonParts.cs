using System.Globalization;
using System.Text.Json.Nodes;
using Nephos.Networking.Addressing;
using Nephos.Networking.Subnets;

namespace Nephos.Networking.Rest;

/// <summary>Pieces of JSON that several resources have.</summary>
internal static class JsonParts
{
    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public static JsonArray Strings(IEnumerable<string> values) => new([.. values.Select(value => (JsonNode)value)]);

    /// <summary>Adds what every resource ends with.</summary>
    public static JsonObject WithCommon(this JsonObject json, Resource resource)
    {
        json["tags"] = Strings(resource.Tags);
        json["created_at"] = Time(resource.CreatedAt);
        json["updated_at"] = Time(resource.UpdatedAt);
        json["revision_number"] = resource.Revision;
        json["project_id"] = resource.ProjectId;
        return json;
    }

    public static JsonArray Routes(IEnumerable<Route> routes) => new([.. routes.Select(route => (JsonNode)new JsonObject
    {
        ["destination"] = route.Destination.ToString(),
        ["nexthop"] = route.Nexthop.ToString(),
    })]);

    public static IReadOnlyList<Route> ReadRoutes(RestBody body, string name) => body.Objects(name, item => new Route(
        Checks.Block("destination", item.Required("destination")), Checks.Address("nexthop", item.Required("nexthop"))));

    public static IpAddress? ReadAddress(RestBody body, string name) =>
        body.StringOrNull(name) is { Length: > 0 } text ? Checks.Address(name, text) : null;
}
