using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Nephos.Kernel.Errors;
using Nephos.Networking.Subnets;
using Wire = Nephos.Protos.Network.V1;

namespace Nephos.Networking.Grpc;

/// <summary>Pieces of wire messages that several resources have.</summary>
internal static class WireParts
{
    /// <summary>An empty filter lets everything through.</summary>
    public static bool Allows(this RepeatedField<string> filter, string value) => filter.Count == 0 || filter.Contains(value);

    public static Timestamp ToWire(this DateTimeOffset time) => Timestamp.FromDateTimeOffset(time);

    public static Wire.Route ToWire(this Route route) => new() { Destination = route.Destination.ToString(), Nexthop = route.Nexthop.ToString() };

    public static IReadOnlyList<Route> ToRoutes(this IEnumerable<Wire.Route> routes) =>
        [.. routes.Select(route => new Route(Checks.Block("destination", route.Destination), Checks.Address("nexthop", route.Nexthop)))];

    public static string? NullIfEmpty(this string text) => text.Length == 0 ? null : text;

    /// <summary>The fields that an update names.</summary>
    /// <exception cref="FaultException">A field is not one that can be changed, or there is none.</exception>
    public static HashSet<string> Paths(this FieldMask? mask, params string[] known)
    {
        var paths = mask?.Paths.ToHashSet(StringComparer.Ordinal) ?? [];
        if (paths.Count == 0)
        {
            throw Faults.Invalid("update_mask", "must name at least one field");
        }

        return paths.FirstOrDefault(path => !known.Contains(path)) is { } unknown
            ? throw Faults.Invalid("update_mask", $"'{Checks.Shown(unknown)}' cannot be changed; these can: {string.Join(", ", known)}")
            : paths;
    }

    /// <summary>The value, when the update names its field.</summary>
    public static Optional<T> When<T>(this HashSet<string> paths, string path, Func<T> value) =>
        paths.Contains(path) ? new Optional<T>(true, value()) : default;
}
