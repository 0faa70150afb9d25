using System.CommandLine;
using Google.Protobuf.WellKnownTypes;
using Wire = Nephos.Protos.BlockStorage.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos export</c>: snapshots and backups for whatever reads disks over NBD.</summary>
internal static class ExportCommand
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static Command Create()
    {
        var command = new Command("export", "Serve snapshots and backups read-only by NBD: to nbdcopy, qemu-img, nbdkit, nbdinfo");
        command.Subcommands.Add(Source("snapshot", "Serve a snapshot", (request, id) => request.SnapshotId = id));
        command.Subcommands.Add(Source("backup", "Serve a backup", (request, id) => request.BackupId = id));
        var state = ServeCommand.StateOption();
        var list = new Command("list", "Show what is served") { state };
        list.SetAction((parse, cancellationToken) => ListAsync(parse.GetValue(state)!, cancellationToken));
        command.Subcommands.Add(list);
        command.Subcommands.Add(Delete());
        return command;
    }

    private static Command Source(string name, string description, Action<Wire.CreateExportRequest, string> set)
    {
        var state = ServeCommand.StateOption();
        var id = new Argument<string>("id") { Description = $"Id of the {name}" };
        var directory = new Option<string>("--certificates")
        {
            Description = "Where ca-cert.pem, client-cert.pem and client-key.pem are put, as libnbd and QEMU want them", DefaultValueFactory = _ => "export-certificates",
        };
        var hours = new Option<double>("--hours") { Description = "How long it is served", DefaultValueFactory = _ => 24 };
        var command = new Command(name, description) { state, id, directory, hours };
        command.SetAction(async (parse, cancellationToken) =>
        {
            var request = new Wire.CreateExportRequest { Lifetime = Duration.FromTimeSpan(TimeSpan.FromHours(parse.GetValue(hours))) };
            set(request, parse.GetValue(id)!);
            using var connection = await AdminConnection.OpenAsync(parse.GetValue(state)!, cancellationToken);
            var made = await new Wire.Exports.ExportsClient(connection.Channel).CreateExportAsync(request, connection.Options(cancellationToken));
            Print(made, Path.GetFullPath(parse.GetValue(directory)!));
            return 0;
        });
        return command;
    }

    private static Command Delete()
    {
        var state = ServeCommand.StateOption();
        var id = new Argument<string>("id") { Description = "Id of the export" };
        var command = new Command("delete", "Stop serving, and end the connections") { state, id };
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var connection = await AdminConnection.OpenAsync(parse.GetValue(state)!, cancellationToken);
            await new Wire.Exports.ExportsClient(connection.Channel).DeleteExportAsync(
                new Wire.DeleteExportRequest { ExportId = parse.GetValue(id)! }, connection.Options(cancellationToken));
            return 0;
        });
        return command;
    }

    private static async Task<int> ListAsync(string state, CancellationToken cancellationToken)
    {
        using var connection = await AdminConnection.OpenAsync(state, cancellationToken);
        var exports = await new Wire.Exports.ExportsClient(connection.Channel).ListExportsAsync(
            new Wire.ListExportsRequest { AllProjects = true }, connection.Options(cancellationToken));
        foreach (var export in exports.Exports)
        {
            var source = export.SourceCase == Wire.Export.SourceOneofCase.SnapshotId ? $"snapshot {export.SnapshotId}" : $"backup {export.BackupId}";
            Console.WriteLine($"{export.Id}  {source}, {export.SizeBytes} bytes, until {export.ExpiresAt.ToDateTimeOffset():u}");
        }
        return 0;
    }

    private static void Print(Wire.CreateExportResponse made, string directory)
    {
        Console.WriteLine($"{made.Export.Id}  {made.Export.SizeBytes} bytes, until {made.Export.ExpiresAt.ToDateTimeOffset():u}");
        if (made.Address.Length > 0)
        {
            Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
            Write(directory, "ca-cert.pem", made.AuthorityCertificate);
            Write(directory, "client-cert.pem", made.ClientCertificate);
            Write(directory, "client-key.pem", made.ClientKey);
            Console.WriteLine($"nbds://{made.Address}/{made.ExportName}?tls-certificates={directory}");
        }
        if (made.SocketPath.Length > 0)
        {
            Console.WriteLine($"nbd+unix:///{made.ExportName}?socket={made.SocketPath}");
        }
    }

    private static void Write(string directory, string name, string text)
    {
        var file = Path.Combine(directory, name);
        File.Delete(file);
        using var writer = new StreamWriter(new FileStream(file, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }));
        writer.WriteLine(text);
    }
}
