using Nephos.LocalStorage.Block;

namespace Nephos.StorageEngine.Simulation.Volumes;

/// <summary>Real files of one device whose writes are lost with the power unless they were made durable: what each write replaced is remembered until then.</summary>
/// <remarks>Sectors of 512 bytes are lost or kept each for itself, in any combination.</remarks>
internal sealed class VolatileFiles
{
    private const int SectorBytes = 512;

    private readonly Dictionary<string, List<(long Offset, byte[] Before)>> _unsynced = new(StringComparer.Ordinal);
    private bool _dead;

    /// <summary>Syncs fail, and what they were for is lost.</summary>
    public bool SyncFails { get; set; }

    public int Before(FileOperation operation, string path, long offset, long length)
    {
        if (_dead) return 0;
        if (operation == FileOperation.Sync)
        {
            if (SyncFails) return BlockFileException.Eio;
            _unsynced.Remove(path);
        }
        else if (operation == FileOperation.Write)
        {
            if (!_unsynced.TryGetValue(path, out var writes)) _unsynced.Add(path, writes = []);
            var before = new byte[length];
            using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete)) RandomAccess.Read(file, before, offset);
            writes.Add((offset, before));
        }
        return 0;
    }

    /// <summary>From now on nothing of the process that had the files counts.</summary>
    public void Die() => _dead = true;

    /// <summary>Puts back what was there before some of the writes that were not durable.</summary>
    public void LosePower(Random random)
    {
        // From seldom to often.
        var keep = random.NextDouble();
        foreach (var (path, writes) in _unsynced.OrderBy(pair => Path.GetFileName(pair.Key), StringComparer.Ordinal))
        {
            if (!File.Exists(path)) continue;
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            for (var i = writes.Count - 1; i >= 0; i--) Undo(file, writes[i].Offset, writes[i].Before, keep, random);
        }
        _unsynced.Clear();
    }

    private static void Undo(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, byte[] before, double keep, Random random)
    {
        var whole = random.Next(3);
        for (var done = 0; done < before.Length; done += SectorBytes)
        {
            // Whole writes or single sectors.
            if (whole == 0 ? random.NextDouble() < keep : whole == 1) continue;
            RandomAccess.Write(file, before.AsSpan(done, Math.Min(SectorBytes, before.Length - done)), offset + done);
        }
    }
}
