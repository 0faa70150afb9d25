using Nephos.Compute.Nodes;
using Nephos.Compute.Seams;

namespace Nephos.Compute.Instances;

/// <summary>Makes the ports of an instance, binds them to its node, and lets go of those it should not have any more.</summary>
internal sealed class PortKeeper(INetworkApi network)
{
    /// <summary>Makes and binds every port that is wanted. Remembers each as it is made.</summary>
    /// <param name="refresh">Reads the details of all ports again.</param>
    public async Task EnsureAsync(PassState pass, Node node, bool refresh, CancellationToken cancellationToken)
    {
        var instance = pass.Instance;
        foreach (var nic in instance.Nics)
        {
            var part = pass.Parts.PortOf(nic);
            if (part is not null && part.BoundNode == node.Id && part.BoundEpoch == instance.Epoch)
            {
                continue;
            }
            pass.SetPort(await MakeOrBindAsync(pass, nic, part, node, cancellationToken));
        }
        if (refresh || pass.Parts.Ports.Any(port => port.Details is null))
        {
            var details = await network.GetDetailsAsync(instance.Id, cancellationToken);
            foreach (var port in pass.Parts.Ports)
            {
                if (details.TryGetValue(port.PortId, out var now))
                {
                    pass.SetPort(port with { Details = now });
                }
            }
        }
    }

    /// <summary>Lets go of ports that are not wanted any more, once the node has unplugged them.</summary>
    public async Task ReleaseAsync(PassState pass, CancellationToken cancellationToken)
    {
        foreach (var port in pass.Parts.Ports.Where(port => pass.Instance.Nics.All(nic => nic.Id != port.NicId)).ToList())
        {
            if (!pass.IsUnplugged(port.PortId, seen => seen.Ports, port.ReleasingSince))
            {
                pass.SetPort(port with { ReleasingSince = port.ReleasingSince ?? pass.Now });
                pass.LookAgainBy(port.ReleasingSince ?? pass.Now);
                continue;
            }
            if (port.Made)
            {
                await network.DeletePortAsync(port.PortId, cancellationToken);
            }
            else
            {
                await network.ReleasePortAsync(port.PortId, port.BindingEpoch, releaseDevice: true, cancellationToken);
            }
            pass.RemovePort(port);
        }
    }

    /// <summary>Takes all ports off their node; they stay with the instance.</summary>
    public async Task UnbindAsync(PassState pass, CancellationToken cancellationToken)
    {
        foreach (var port in pass.Parts.Ports.Where(port => port.BoundNode is not null).ToList())
        {
            await network.ReleasePortAsync(port.PortId, port.BindingEpoch, releaseDevice: false, cancellationToken);
            pass.SetPort(port with { BoundNode = null });
        }
    }

    /// <summary>Leaves nothing: ports that were made are deleted, ports of users are free again. Also those that were never written down.</summary>
    public async Task RemoveAllAsync(Instance instance, InstanceParts? parts, CancellationToken cancellationToken)
    {
        foreach (var port in await network.ListPortsOfAsync(instance.Id, cancellationToken))
        {
            var given = instance.Nics.Any(nic => nic.PortId == port.Id) || parts?.Ports.Any(part => part.PortId == port.Id && !part.Made) == true;
            if (given)
            {
                await network.ReleasePortAsync(port.Id, port.BindingEpoch, releaseDevice: true, cancellationToken);
            }
            else
            {
                await network.DeletePortAsync(port.Id, cancellationToken);
            }
        }
    }

    private async Task<PartPort> MakeOrBindAsync(PassState pass, Nic nic, PartPort? part, Node node, CancellationToken cancellationToken)
    {
        var instance = pass.Instance;
        var owner = $"compute:{node.AvailabilityZone}";
        var portId = part?.PortId ?? nic.PortId;
        var lastEpoch = part?.BindingEpoch ?? 0;
        if (portId is null)
        {
            var made = await network.CreatePortAsync(new PortWish(
                instance.ProjectId, nic.NetworkId, nic.FixedIp, [.. instance.SecurityGroups.Select(group => group.Id)], instance.Id, owner,
                instance.HostName, node.HostName, instance.Epoch, $"{instance.Id}/{nic.Id}"), cancellationToken);
            if (made.BindingEpoch == instance.Epoch)
            {
                return new PartPort(nic.Id, made.Id, Made: true, node.Id, instance.Epoch, instance.Epoch, null, null);
            }
            (portId, lastEpoch) = (made.Id, made.BindingEpoch);
        }
        else if (part is null)
        {
            lastEpoch = await network.GetBindingEpochAsync(portId, cancellationToken);
        }
        // The port may have served other instances, whose epochs were higher.
        var epoch = Math.Max(instance.Epoch, lastEpoch + 1);
        await network.BindPortAsync(portId, node.HostName, epoch, instance.Id, owner, cancellationToken);
        return new PartPort(nic.Id, portId, Made: nic.PortId is null, node.Id, instance.Epoch, epoch, part?.Details, null);
    }
}
