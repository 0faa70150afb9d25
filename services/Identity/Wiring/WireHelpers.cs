using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Identity.Shared;
using Nephos.Kernel.Errors;
using Nephos.Kernel.State;

namespace Nephos.Identity.Wiring;

/// <summary>What every gRPC adapter of the directory needs.</summary>
internal static class WireHelpers
{
    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithRecursionLimit(64));

    public static Struct ToStruct(this JsonObject json) => Parser.Parse<Struct>(json.ToJsonString());

    public static JsonObject? ToJson(this Struct? wire) =>
        wire is null ? null : JsonNode.Parse(JsonFormatter.Default.Format(wire))!.AsObject();

    /// <summary>Protobuf has no null for texts.</summary>
    public static string? NullIfEmpty(this string text) => text.Length == 0 ? null : text;

    /// <summary>The fields an update names; all that can be changed are allowed, others are refused.</summary>
    /// <exception cref="FaultException">InvalidArgument: no mask, or a field that cannot be changed.</exception>
    public static Mask ToMask(this FieldMask? mask, params ReadOnlySpan<string> known)
    {
        if (mask is null || mask.Paths.Count == 0)
        {
            throw Faults.Invalid("update_mask", "names no field");
        }
        foreach (var path in mask.Paths)
        {
            if (!known.Contains(path))
            {
                throw Faults.Invalid("update_mask", $"'{path}' is no field that can be changed");
            }
        }
        return new Mask([.. mask.Paths]);
    }

    /// <summary>Sends a table as it is, a mark, then every change.</summary>
    /// <param name="cache">The table.</param>
    /// <param name="stream">The answer.</param>
    /// <param name="changed">A record that came or changed.</param>
    /// <param name="deleted">A key that went.</param>
    /// <param name="synchronized">The mark.</param>
    /// <param name="isWanted">Which records the watcher sees.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    public static async Task SendAsync<T, TWire>(
        this TableCache<T> cache, IServerStreamWriter<TWire> stream, Func<T, TWire> changed, Func<string, TWire> deleted,
        Func<TWire> synchronized, Func<T, bool> isWanted, CancellationToken cancellationToken)
        where T : class
    {
        await using var changes = cache.WatchAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        var isSynchronized = false;
        while (true)
        {
            var next = changes.MoveNextAsync();
            if (!next.IsCompleted && !isSynchronized)
            {
                // What was there before comes without waiting.
                isSynchronized = true;
                await stream.WriteAsync(synchronized(), cancellationToken);
            }
            if (!await next)
            {
                return;
            }
            var (key, before, after, _) = changes.Current;
            if (after is not null && isWanted(after))
            {
                await stream.WriteAsync(changed(after), cancellationToken);
            }
            else if (after is null && before is not null && isWanted(before))
            {
                await stream.WriteAsync(deleted(key), cancellationToken);
            }
        }
    }
}

/// <summary>Which fields of a message count.</summary>
internal readonly struct Mask(HashSet<string> paths)
{
    public Change<T> Of<T>(string path, T? value) => paths.Contains(path) ? Change.To(value) : default;

    public bool Has(string path) => paths.Contains(path);
}
