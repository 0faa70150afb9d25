using Nephos.Node.Objects;

namespace Nephos.StorageEngine.Simulation.Machine;

/// <summary>The configuration as it survives everything.</summary>
internal sealed class MasterContent
{
    public Dictionary<string, ConfigurationValue> Values { get; } = [];

    public ulong LastVersion { get; set; }
}

/// <summary>The configuration master as a process reaches it: after a while.</summary>
internal sealed class SimulatedMaster(MasterContent content, SimulatedProcess process) : IConfigurationMaster
{
    public async ValueTask<ConfigurationValue?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        await DelayAsync();
        return content.Values.TryGetValue(name, out var value) ? value : null;
    }

    public async ValueTask<ulong?> CompareAndSwapAsync(
        string name, ulong expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        await DelayAsync();
        process.CheckPower();
        if ((content.Values.TryGetValue(name, out var current) ? current.Version : 0) != expectedVersion)
        {
            return null;
        }

        var version = ++content.LastVersion;
        content.Values[name] = new ConfigurationValue(value.ToArray(), version);
        await DelayAsync();
        return version;
    }

    private Task DelayAsync() => Task.Delay(TimeSpan.FromMicroseconds(process.Random.Next(3000)), process.Clock);
}
