using Nephos.BlockStorage.Devices;
using Nephos.Hosting;
using Nephos.Kernel.Errors;
using Nephos.Kernel.Operations;
using Nephos.Kernel.State;
using Nephos.Protos.Errors.V1;

namespace Nephos.BlockStorage.Operators;

/// <summary>What runs, and what administrators have switched off.</summary>
internal sealed class OperatorService(IStateStore store, IBlockDevices devices, NephosOptions nephos, TimeProvider time)
{
    public const string VolumeBinary = "cinder-volume", SchedulerBinary = "cinder-scheduler", BackupBinary = "cinder-backup";
    private const int ReasonCharsMax = 255;

    public static string HostOf(string deviceId) => $"{deviceId}@nephos";

    public async Task<IReadOnlyList<OperatedService>> ListAsync(OperationContext operation, CancellationToken cancellationToken)
    {
        operation.RequireAdmin("volume_extension:services:index");
        var states = (await store.ListAsync(HostState.Table, "", cancellationToken)).ToDictionary(state => HostState.KeyOf(state.Binary, state.Host));
        var own = new[] { (SchedulerBinary, nephos.NodeName, true), (BackupBinary, nephos.NodeName, true) };
        return
        [
            .. own.Concat((await ListDevicesAsync(cancellationToken)).Select(device => (VolumeBinary, HostOf(device.Id), !device.Failed)))
                .Select(service => new OperatedService(service.Item1, service.Item2, service.Item3, StateOf(service.Item1, service.Item2))),
        ];

        HostState StateOf(string binary, string host) =>
            states.GetValueOrDefault(HostState.KeyOf(binary, host)) ?? new HostState { Binary = binary, Host = host };
    }

    /// <summary>The devices; none when the storage does not answer.</summary>
    public async Task<IReadOnlyList<BlockDevice>> ListDevicesAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await devices.ListAsync(cancellationToken);
        }
        catch (FaultException fault) when (fault.Rule.Code == Code.Unavailable)
        {
            return [];
        }
    }

    /// <summary>Switches a service on or off.</summary>
    /// <param name="binary">Null names the service that volumes are on.</param>
    /// <exception cref="FaultException">NotFound.</exception>
    public async Task<OperatedService> SwitchAsync(
        OperationContext operation, string? binary, string host, bool disabled, string? reason, CancellationToken cancellationToken)
    {
        var known = (await ListAsync(operation, cancellationToken)).FirstOrDefault(service => service.Binary == (binary ?? VolumeBinary) && service.Host == host)
            ?? throw Faults.NotFound("Service", $"{binary} on host {host}");
        if (reason?.Length is 0 or > ReasonCharsMax) throw Faults.Invalid("disabled_reason", $"has 1 to {ReasonCharsMax} characters");
        return known with { State = await PutAsync(known.State with { Disabled = disabled, DisabledReason = disabled ? reason : null }, cancellationToken) };
    }

    /// <summary>Keeps new volumes away from a host, or lets them come again.</summary>
    /// <exception cref="FaultException">InvalidArgument for a host that has no volumes.</exception>
    public async Task FreezeAsync(OperationContext operation, string host, bool frozen, CancellationToken cancellationToken)
    {
        var known = (await ListAsync(operation, cancellationToken)).FirstOrDefault(service => service.Binary == VolumeBinary && service.Host == host)
            ?? throw Faults.Invalid("host", $"there is no {VolumeBinary} on host {(host.Length > 64 ? host[..64] : host)}");
        await PutAsync(known.State with { Frozen = frozen }, cancellationToken);
    }

    /// <summary>The devices that get no new volumes.</summary>
    public async Task<IReadOnlySet<string>> ListClosedAsync(CancellationToken cancellationToken) =>
        (await store.ListAsync(HostState.Table, VolumeBinary + "/", cancellationToken))
            .Where(state => state.Disabled || state.Frozen).Select(state => state.Host).ToHashSet();

    private async Task<HostState> PutAsync(HostState state, CancellationToken cancellationToken)
    {
        state = state with { UpdatedAt = time.GetUtcNow() };
        await store.TransactAsync(
            transaction =>
            {
                transaction.Put(HostState.Table, state);
                return Task.CompletedTask;
            },
            cancellationToken);
        return state;
    }
}
