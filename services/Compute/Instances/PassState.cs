using Nephos.Kernel.Errors;
using Nephos.Protos.Errors.V1;

namespace Nephos.Compute.Instances;

/// <summary>What one pass over one instance knows, and what it has made so far.</summary>
internal sealed class PassState(
    Instance instance, InstanceParts parts, IReadOnlyList<Observation> observations, Func<string, bool> isUp, TimeSpan releaseDeadline, DateTimeOffset now)
{
    private readonly Lock _gate = new();
    private bool _forgotten;

    public Instance Instance => instance;

    public InstanceParts Parts { get; private set; } = parts;

    public DateTimeOffset Now => now;

    /// <summary>Something was made or let go: <see cref="Parts"/> has to be written.</summary>
    public bool Changed
    {
        get => field && !_forgotten;
        private set;
    }

    /// <summary>Something that others do is not ready; they will tell, but do not rely on it.</summary>
    public bool Waits { get; private set; }

    /// <summary>When the pass wants to look again at the latest.</summary>
    public DateTimeOffset? AgainAt { get; private set; }

    public Observation? SeenBy(string? nodeId) => observations.FirstOrDefault(seen => seen.NodeId == nodeId);

    public bool IsUp(string? nodeId) => nodeId is not null && isUp(nodeId);

    public void SetPort(PartPort port) => Update(parts => parts.Ports.Contains(port)
        ? parts
        : parts with { Ports = Replace(parts.Ports, port, item => item.NicId == port.NicId) });

    public void RemovePort(PartPort port) => Update(parts => parts with { Ports = [.. parts.Ports.Where(item => item.NicId != port.NicId)] });

    public void SetDisk(PartDisk disk) => Update(parts => parts.Disks.Contains(disk)
        ? parts
        : parts with { Disks = Replace(parts.Disks, disk, item => item.DiskId == disk.DiskId && item.RootNonce == disk.RootNonce) });

    public void RemoveDisk(PartDisk disk) => Update(
        parts => parts with { Disks = [.. parts.Disks.Where(item => item.DiskId != disk.DiskId || item.RootNonce != disk.RootNonce)] });

    public void SetOrder(Order order) => Update(parts => parts.Orders.Any(item => ReferenceEquals(item, order))
        ? parts
        : parts with { Orders = Replace(parts.Orders, order, item => item.NodeId == order.NodeId) });

    public void RemoveOrder(Order order) => Update(parts => parts with { Orders = [.. parts.Orders.Where(item => item.NodeId != order.NodeId)] });

    public void SetUploadingImage(string imageId) => Update(parts => parts.UploadingImageId == imageId ? parts : parts with { UploadingImageId = imageId });

    public void SetShelvedImage(string imageId) => Update(parts => parts with { ShelvedImageId = imageId });

    /// <summary>Writes down how the pass went; null: without trouble.</summary>
    public void SetError(string? error)
    {
        Update(parts => error == parts.LastError
            ? parts
            : parts with { LastError = error, FailingSince = error is null ? null : parts.FailingSince ?? now });
    }

    /// <summary>The record is gone; nothing is to be written any more.</summary>
    public void Forget() => _forgotten = true;

    public void Wait() => Waits = true;

    /// <summary>Looks again when the deadline of letting go, counted from a time, has passed.</summary>
    public void LookAgainBy(DateTimeOffset since) => LookAgainAt(since + releaseDeadline);

    public void LookAgainAt(DateTimeOffset at)
    {
        AgainAt = AgainAt is { } earlier && earlier < at ? earlier : at;
    }

    /// <summary>A node is still told to use the attachment.</summary>
    public bool IsOrdered(string attachmentId) => Parts.Orders.Any(order =>
        !order.Removes && order.ToWire().Volumes.Any(volume => volume.AttachmentId == attachmentId));

    /// <summary>No node uses the device any more: it said so, it is not there, it cannot be asked, or it had time enough.</summary>
    public bool IsUnplugged(string deviceId, Func<Observation, IReadOnlyList<ObservedDevice>> devices, DateTimeOffset? since)
    {
        if (since is { } start && now >= start + releaseDeadline)
        {
            return true;
        }
        foreach (var order in Parts.Orders.Where(order => IsUp(order.NodeId)))
        {
            var seen = SeenBy(order.NodeId);
            var current = seen is not null && seen.Epoch >= order.Epoch && seen.Generation >= order.Generation;
            if (seen?.Phase != Phase.Gone && (!current || devices(seen!).Any(device => device.Id == deviceId)))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>Trying again will not help.</summary>
    public static bool IsPermanent(FaultException fault) => fault.Rule.Code is
        Code.InvalidArgument or Code.NotFound or Code.AlreadyExists or Code.FailedPrecondition or Code.ResourceExhausted
        or Code.PermissionDenied or Code.OutOfRange or Code.Unimplemented;

    // Ports and disks are made side by side.
    private void Update(Func<InstanceParts, InstanceParts> change)
    {
        lock (_gate)
        {
            var after = change(Parts);
            Changed |= !ReferenceEquals(after, Parts);
            Parts = after;
        }
    }

    private static List<T> Replace<T>(IReadOnlyList<T> items, T item, Predicate<T> isSame)
    {
        var list = items.ToList();
        var index = list.FindIndex(isSame);
        if (index < 0)
        {
            list.Add(item);
        }
        else
        {
            list[index] = item;
        }
        return list;
    }
}
