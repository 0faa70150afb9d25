using Nephos.LocalStorage.Objects;

namespace Nephos.Node.Objects.Devices;

/// <summary>
/// One numbered place in the ring and the device that is there now. Whoever uses the device holds a lease, so that it is closed
/// only when nobody is inside.
/// </summary>
internal sealed class DeviceSlot(int number, string zone, string path, ObjectDeviceOptions options, TimeProvider time)
{
    private readonly Lock _gate = new();
    private Holder? _holder;

    public int Number { get; } = number;

    public string Zone { get; } = zone;

    public string Path { get; } = path;

    /// <summary>Why there is no device; empty while there is one.</summary>
    public string Reason { get; private set; } = "not opened";

    public bool IsOnline => Volatile.Read(ref _holder) is not null;

    /// <summary>The device, kept open until the lease is disposed; false when there is none.</summary>
    public bool TryUse(out DeviceLease lease)
    {
        var holder = Volatile.Read(ref _holder);
        if (holder is not null && holder.TryEnter())
        {
            lease = new DeviceLease(holder);
            return true;
        }

        lease = default;
        return false;
    }

    /// <summary>Whether this replica of a group is on the device, sound or not.</summary>
    public bool Holds(Guid group, Guid replica)
    {
        if (!TryUse(out var lease))
        {
            return false;
        }

        using (lease)
        {
            return lease.Device.Journal.Find(group)?.Replica == replica;
        }
    }

    /// <summary>Opens the directory; true when the device is there afterwards.</summary>
    public bool TryOpen()
    {
        lock (_gate)
        {
            if (_holder is not null)
            {
                return true;
            }

            try
            {
                _holder = new Holder(ObjectDevice.Open(Path, Number, options, time));
                Reason = "";
                return true;
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or RocksDbSharp.RocksDbException)
            {
                Reason = failure.Message;
                return false;
            }
        }
    }

    /// <summary>Looks after the device: takes it out of use when it has a fault. True when it was taken out by this call.</summary>
    public bool Check(out bool canBeReplacedInPlace)
    {
        canBeReplacedInPlace = false;
        lock (_gate)
        {
            if (_holder is null || _holder.Device.FindFault() is not { } fault)
            {
                return false;
            }

            canBeReplacedInPlace = _holder.Device.CanBeReplacedInPlace();
            Reason = fault;
            _ = Close();
            return true;
        }
    }

    /// <summary>Refuses new users; completes when the last one has left and the device is closed.</summary>
    public Task Close()
    {
        lock (_gate)
        {
            var holder = _holder;
            _holder = null;
            return holder?.CloseWhenUnused() ?? Task.CompletedTask;
        }
    }

    internal sealed class Holder(ObjectDevice device)
    {
        private const int Closing = 1 << 30;
        private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _users;
        private int _isClosed;

        public ObjectDevice Device { get; } = device;

        public bool TryEnter()
        {
            if (Interlocked.Increment(ref _users) < Closing)
            {
                return true;
            }

            Leave();
            return false;
        }

        public void Leave()
        {
            if (Interlocked.Decrement(ref _users) == Closing)
            {
                Close();
            }
        }

        /// <summary>Refuses new users; the last one to leave closes the device.</summary>
        public Task CloseWhenUnused()
        {
            if (Interlocked.Add(ref _users, Closing) == Closing)
            {
                Close();
            }

            return _closed.Task;
        }

        private void Close()
        {
            // A late visitor that is turned away comes through here as well.
            if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            {
                Device.Dispose();
                _closed.TrySetResult();
            }
        }
    }
}

/// <summary>Keeps a device open; dispose it soon.</summary>
internal readonly struct DeviceLease(DeviceSlot.Holder holder) : IDisposable
{
    public ObjectDevice Device => holder.Device;

    public void Dispose() => holder.Leave();
}
