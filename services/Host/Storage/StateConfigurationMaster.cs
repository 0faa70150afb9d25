using Nephos.Kernel.State;
using Nephos.Node.Objects;

namespace Nephos.Host.Storage;

/// <summary>Keeps the configuration of the storage engine in the state store: members, epochs, rings.</summary>
internal sealed class StateConfigurationMaster(IStateStore store) : IConfigurationMaster
{
    private const string Prefix = "storage/configuration/";

    public async ValueTask<ConfigurationValue?> ReadAsync(string name, CancellationToken cancellationToken) =>
        await store.GetAsync(Prefix + name, cancellationToken) is { } entry ? new ConfigurationValue(entry.Value, (ulong)entry.Revision) : null;

    public async ValueTask<ulong?> CompareAndSwapAsync(
        string name, ulong expectedVersion, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        var result = await store.CommitAsync(
            new StateCommit
            {
                Preconditions = [new StatePrecondition(Prefix + name, (long)expectedVersion)],
                Puts = [new StatePut(Prefix + name, value.ToArray())],
            },
            cancellationToken);
        return result.Succeeded ? (ulong)result.Revision : null;
    }
}
