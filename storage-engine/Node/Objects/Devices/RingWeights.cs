using System.Text.Json;
using System.Text.Json.Serialization;
using Nephos.Placement;

namespace Nephos.Node.Objects.Devices;

/// <summary>The weights that were set, by device; a device that is not here has the weight it came with.</summary>
/// <param name="Version">Of the configuration value.</param>
internal sealed record RingWeights(IReadOnlyDictionary<int, double> ByDevice, ulong Version)
{
    /// <summary>The weight of a device that was taken out of the ring.</summary>
    public const double Removed = -1;

    private const string Name = "objects/weights";

    public static async Task<RingWeights> ReadAsync(IConfigurationMaster master, CancellationToken cancellationToken)
    {
        var stored = await master.ReadAsync(Name, cancellationToken);
        var weights = stored is null ? [] : JsonSerializer.Deserialize(stored.Value.Value.Span, WeightsJson.Default.DictionaryInt32Double) ?? [];
        return new RingWeights(weights, stored?.Version ?? 0);
    }

    public RingWeights With(int device, double weight) => this with { ByDevice = new Dictionary<int, double>(ByDevice) { [device] = weight } };

    /// <summary>Null when someone else changed them since they were read.</summary>
    public async Task<RingWeights?> StoreAsync(IConfigurationMaster master, CancellationToken cancellationToken)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(new Dictionary<int, double>(ByDevice), WeightsJson.Default.DictionaryInt32Double);
        return await master.CompareAndSwapAsync(Name, Version, bytes, cancellationToken) is { } version ? this with { Version = version } : null;
    }

    /// <summary>The devices as they should be, those that were removed left out.</summary>
    public IReadOnlyList<RingDevice> Apply(IEnumerable<RingDevice> devices) =>
        [.. devices.Select(d => d with { Weight = ByDevice.TryGetValue(d.Id, out var weight) ? weight : d.Weight }).Where(d => d.Weight >= 0)];
}

[JsonSerializable(typeof(Dictionary<int, double>))]
internal sealed partial class WeightsJson : JsonSerializerContext;
