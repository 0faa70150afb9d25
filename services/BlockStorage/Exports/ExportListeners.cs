using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Nbd;
using Nephos.Client.Volumes;
using Nephos.Hosting;
using Nephos.Kernel.State;

namespace Nephos.BlockStorage.Exports;

/// <summary>Serves the exports: over TLS to whoever has a certificate for one, and on a unix socket of this machine in clear.</summary>
internal sealed partial class ExportListeners(
    NephosOptions nephos, BlockStorageOptions options, IStateStore store, TableCache<Export> exports, ExportContents contents, TimeProvider time,
    ILogger<ExportListeners> logger) : BackgroundService
{
    public const string SocketName = "exports.sock";

    /// <summary>A disk that nobody reads is kept open for this long.</summary>
    private static readonly TimeSpan IdleTime = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, OpenDisk> _disks = new(StringComparer.Ordinal);
    private readonly List<NbdExportServer> _servers = [];
    private ExportAuthority? _authority;

    private sealed record OpenDisk(ExportDisk Disk, DateTimeOffset AskedAt);

    /// <summary>host:port over TLS; empty when that could not be listened on.</summary>
    public string Address { get; private set; } = "";

    /// <summary>The unix socket; empty when there is none.</summary>
    public string SocketPath { get; private set; } = "";

    /// <summary>The authority that clients check the server by, and a certificate and key that let one in; null when nothing is served over TLS.</summary>
    public (string Authority, string Certificate, string Key)? MakeCredentials(Export export)
    {
        if (_authority is null) return null;
        var (certificate, key) = _authority.MakeClient(export.Id, export.ExpiresAt, time.GetUtcNow());
        return (_authority.CertificatePem, certificate, key);
    }

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        // A cloud without exports is a cloud all the same: what can not be listened on is said, in the log and in answers.
        TryListen("the unix socket", () =>
        {
            var path = Path.Combine(nephos.StateDirectory, SocketName);
            _servers.Add(new NbdExportServer(new UnixDomainSocketEndPoint(path), tls: null, Find, time));
            SocketPath = path;
        });
        TryListen("TLS", () =>
        {
            _authority = new ExportAuthority(nephos.SecretsDirectory, [nephos.PublicHost, nephos.OwnAddress, "localhost", Dns.GetHostName()], time.GetUtcNow());
            var address = nephos.ListenAddress == "*" ? IPAddress.IPv6Any : IPAddress.Parse(nephos.ListenAddress);
            var server = new NbdExportServer(new IPEndPoint(address, options.ExportPort ?? nephos.PortBase + BlockStorageOptions.ExportPortOffset), _authority.Tls, Find, time);
            _servers.Add(server);
            var host = nephos.PublicHost.Contains(':', StringComparison.Ordinal) ? $"[{nephos.PublicHost}]" : nephos.PublicHost;
            Address = $"{host}:{((IPEndPoint)server.EndPoint).Port}";
            LogListening(Address);
        });
        return base.StartAsync(cancellationToken);
    }

    private void TryListen(string what, Action listen)
    {
        try
        {
            listen();
        }
        catch (Exception e) when (e is VolumeHeadException or IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            LogNotListening(e, what);
        }
    }

    // On the thread of a connection, which is there to wait.
    private ExportDisk? Find(string name, string? peer)
    {
        try
        {
            return FindAsync(name, peer, CancellationToken.None).GetAwaiter().GetResult();
        }
        catch (Exception e)
        {
            LogNotOpened(e, name.Split('.')[0]);
            return null;
        }
    }

    private async Task<ExportDisk?> FindAsync(string name, string? peer, CancellationToken cancellationToken)
    {
        var id = name.Split('.')[0];
        if (await store.GetAsync(Export.Table, id, cancellationToken) is not { } export || !export.HasName(name) || export.ExpiresAt <= time.GetUtcNow()) return null;
        // A certificate is for one export.
        if (peer is not null && peer != export.Id) return null;
        if (!await contents.ExistsAsync(export, cancellationToken)) return null;
        lock (_gate)
            if (Touch(id) is { } open) return open;
        var made = new ExportDisk(id, await contents.OpenAsync(export, cancellationToken), logger);
        lock (_gate)
        {
            if (Touch(id) is not { } other)
            {
                _disks[id] = new OpenDisk(made, time.GetUtcNow());
                return made;
            }
            made.Dispose();
            return other;
        }
    }

    // Under the gate.
    private ExportDisk? Touch(string id)
    {
        if (!_disks.TryGetValue(id, out var open)) return null;
        _disks[id] = open with { AskedAt = time.GetUtcNow() };
        return open.Disk;
    }

    /// <summary>An export that is deleted, here or in another process, ends at once.</summary>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var change in exports.WatchAsync(stoppingToken))
            if (change.After is null) await Task.Run(() => Close(change.Key), stoppingToken);
    }

    /// <summary>Closes what has expired, what is not there any more, and what nobody reads.</summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        List<OpenDisk> open;
        lock (_gate) open = [.. _disks.Values];
        foreach (var (disk, askedAt) in open)
        {
            var export = await store.GetAsync(Export.Table, disk.ExportId, cancellationToken);
            var valid = export is not null && export.ExpiresAt > time.GetUtcNow() && await contents.ExistsAsync(export, cancellationToken);
            var idle = time.GetUtcNow() - askedAt > IdleTime && !_servers.Exists(server => server.Serves(disk));
            if (!valid || idle) await Task.Run(() => Close(disk.ExportId), cancellationToken);
        }
    }

    private void Close(string exportId)
    {
        OpenDisk? open;
        lock (_gate)
            if (!_disks.Remove(exportId, out open)) return;
        foreach (var server in _servers) server.Drop(open.Disk);
        open.Disk.Dispose();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await Task.Run(
            () =>
            {
                foreach (var server in _servers) server.Dispose();
                foreach (var open in _disks.Values) open.Disk.Dispose();
                _disks.Clear();
            },
            CancellationToken.None);
        _servers.Clear();
        _authority?.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Exports of snapshots and backups are served over TLS at {Address}")]
    private partial void LogListening(string address);

    [LoggerMessage(Level = LogLevel.Error, Message = "Exports can not be served over {What}")]
    private partial void LogNotListening(Exception exception, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Export {ExportId} can not be opened now")]
    private partial void LogNotOpened(Exception exception, string exportId);
}
