using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Nephos.Kernel.State;
using Nephos.State;
using Nephos.State.Local;
using RocksDbSharp;
using Xunit;

namespace Nephos.Services.Tests.State;

/// <summary>The bytes on the disk: they are read by every later version.</summary>
public sealed class RocksDbFormatTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("nephos-format-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_store_writes_exactly_these_bytes()
    {
        LeaseId lease;
        await using (var store = Open())
        {
            lease = await store.GrantLeaseAsync(TimeSpan.FromSeconds(300), CancellationToken.None);
            await store.CommitAsync(
                new StateCommit { Puts = [new("ab", "xyz"u8.ToArray()), new("c", "v"u8.ToArray(), lease)] }, CancellationToken.None);
        }

        var id = Convert.ToHexString(BitConverter.GetBytes(lease.Value));
        var idInKeys = Convert.ToHexString(BitConverter.GetBytes(lease.Value).Reverse().ToArray());
        Assert.Equal(
            [
                ("00666F726D6174", "01000000"),
                ("007265766973696F6E", "0100000000000000"),
                ("016162", "01000000000000000000000000000000" + "78797A"),
                ("0163", "0100000000000000" + id + "76"),
                ("02" + idInKeys, "2C01000000000000"),
                ("03" + idInKeys + "63", ""),
            ],
            Dump());
    }

    [Fact]
    public void An_unknown_format_is_refused()
    {
        using (var db = RocksDb.Open(new DbOptions().SetCreateIfMissing(true), _folder.FullName))
        {
            db.Put("\0format"u8.ToArray(), new byte[] { 2, 0, 0, 0 });
        }

        var refused = Assert.Throws<InvalidDataException>(Open);

        Assert.Contains("format 2", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_entry_without_its_header_is_damage()
    {
        Assert.Throws<InvalidDataException>(() => RocksDbEngine.Entry("a", new byte[15]));
    }

    private IStateStore Open() => StateRegistration.Open(new StateStoreOptions { Path = _folder.FullName }, new FakeTimeProvider(), NullLoggerFactory.Instance);

    private List<(string Key, string Value)> Dump()
    {
        using var db = RocksDb.Open(new DbOptions(), _folder.FullName);
        using var iterator = db.NewIterator();
        var entries = new List<(string, string)>();
        for (iterator.SeekToFirst(); iterator.Valid(); iterator.Next())
        {
            entries.Add((Convert.ToHexString(iterator.Key()), Convert.ToHexString(iterator.Value())));
        }

        return entries;
    }
}
