using System.Text.Json;

namespace Nephos.Hypervisor.Qemu;

/// <summary>Which device sits in which slot, kept over restarts of the machine: the guest finds its cards and disks in the same places, and
/// saved memory fits again.</summary>
internal sealed class SlotMap(string path)
{
    /// <summary>Slots of the PCI bus that are for volumes and ports; those below are the machine's own.</summary>
    public const int FirstPciSlot = 5;
    public const int LastPciSlot = 30;

    /// <summary>The slot of a device, taken now if it has none.</summary>
    /// <exception cref="Instances.PermanentHypervisorException">All slots are taken.</exception>
    public int Take(string device, int first = FirstPciSlot, int last = LastPciSlot)
    {
        var slots = Load();
        if (slots.TryGetValue(device, out var slot))
        {
            return slot;
        }
        for (slot = first; slot <= last; slot++)
        {
            if (!slots.ContainsValue(slot))
            {
                slots[device] = slot;
                Save(slots);
                return slot;
            }
        }
        throw new Instances.PermanentHypervisorException("the machine has no free slot for another device");
    }

    public void Release(string device)
    {
        var slots = Load();
        if (slots.Remove(device))
        {
            Save(slots);
        }
    }

    /// <summary>Forgets devices that are not wanted any more; only while no process runs.</summary>
    public void KeepOnly(IReadOnlySet<string> devices)
    {
        var slots = Load();
        var kept = slots.Where(slot => devices.Contains(slot.Key)).ToDictionary();
        if (kept.Count != slots.Count)
        {
            Save(kept);
        }
    }

    private Dictionary<string, int> Load()
    {
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(path)) ?? [];
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return [];
        }
    }

    private void Save(Dictionary<string, int> slots)
    {
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(slots));
        File.Move(path + ".new", path, overwrite: true);
    }
}
