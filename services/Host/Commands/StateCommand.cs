using System.CommandLine;
using Nephos.State.Backup;
using Wire = Nephos.Protos.Host.V1;

namespace Nephos.Host.Commands;

/// <summary><c>nephos state</c>: copies of the state store, and whether it is sound.</summary>
internal static class StateCommand
{
    public static Command Create()
    {
        var state = ServeCommand.StateOption();
        state.Recursive = true;
        var command = new Command("state", "Back up, restore and check the records of the cloud") { state };
        var target = new Argument<string?>("folder") { Description = "Where to put the copy; a new folder of the state directory when not given", Arity = ArgumentArity.ZeroOrOne };
        var backup = new Command("backup", "Copy the records of the running cloud into a new folder") { target };
        backup.SetAction((parse, cancellationToken) => BackupAsync(parse.GetValue(state)!, parse.GetValue(target), cancellationToken));
        var source = new Argument<string>("folder") { Description = "The copy" };
        var restore = new Command("restore", "Put a copy in the place of the records of a stopped cloud") { source };
        restore.SetAction((parse, cancellationToken) => RestoreAsync(parse.GetValue(state)!, parse.GetValue(source)!, cancellationToken));
        var copy = new Argument<string?>("folder") { Description = "A copy; the cloud's own records when not given", Arity = ArgumentArity.ZeroOrOne };
        var check = new Command("check", "Read every record and index entry and say what is wrong") { copy };
        check.SetAction((parse, cancellationToken) => CheckAsync(parse.GetValue(state)!, parse.GetValue(copy), cancellationToken));
        command.Subcommands.Add(backup);
        command.Subcommands.Add(restore);
        command.Subcommands.Add(check);
        return command;
    }

    private static async Task<int> BackupAsync(string state, string? folder, CancellationToken cancellationToken)
    {
        if (folder is not null && Path.Exists(folder))
        {
            throw new CommandException($"{folder} exists; give a new folder");
        }
        var made = await MakeAsync(state, cancellationToken);
        if (folder is not null)
        {
            await MoveAsync(made.Folder, folder, cancellationToken);
        }
        Console.WriteLine($"{folder ?? made.Folder}: revision {made.Revision}, {made.SizeBytes / 1024.0:0} KiB");
        return 0;
    }

    private static async Task<int> RestoreAsync(string state, string folder, CancellationToken cancellationToken)
    {
        if (IsRunning(state))
        {
            throw new CommandException("the cloud runs; stop it first with ./nephos down");
        }
        try
        {
            var former = await StateCopy.RestoreAsync(folder, PathOf(state), TimeProvider.System, cancellationToken);
            Console.WriteLine(former is null ? "restored" : $"restored; the records that were there are in {former}");
            return 0;
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException)
        {
            throw new CommandException(exception.Message);
        }
    }

    private static async Task<int> CheckAsync(string state, string? folder, CancellationToken cancellationToken)
    {
        string? made = null;
        try
        {
            if (folder is not null)
            {
                await StateCopy.VerifyAsync(folder, cancellationToken);
            }
            else if (IsRunning(state))
            {
                // What is written to cannot be looked over; a copy of it can.
                folder = made = (await MakeAsync(state, cancellationToken)).Folder;
            }
            return Print(StateInspection.Run(folder is null ? PathOf(state) : StateCopy.DataOf(folder), cancellationToken));
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException)
        {
            throw new CommandException(exception.Message);
        }
        finally
        {
            if (made is not null)
            {
                Directory.Delete(made, recursive: true);
            }
        }
    }

    private static int Print(StateInspection found)
    {
        Console.WriteLine($"revision {found.Revision}, {found.Entries} entries");
        foreach (var (table, records) in found.Records)
        {
            Console.WriteLine($"  {table,-40} {records,9}");
        }
        foreach (var problem in found.Problems)
        {
            Console.WriteLine($"problem: {problem}");
        }
        Console.WriteLine(found.Problems.Count == 0 ? "sound" : $"{found.Problems.Count} problems");
        return found.Problems.Count == 0 ? 0 : 1;
    }

    private static async Task<Wire.StateBackup> MakeAsync(string state, CancellationToken cancellationToken)
    {
        using var connection = await AdminConnection.OpenAsync(state, cancellationToken);
        var name = $"{TimeProvider.System.GetUtcNow():yyyyMMddTHHmmssfff}";
        return await new Wire.StateBackups.StateBackupsClient(connection.Channel).CreateStateBackupAsync(
            new Wire.CreateStateBackupRequest { Name = name }, connection.Options(cancellationToken));
    }

    /// <summary>Moves a folder, to another file system too. The manifest goes last: without it there is no copy.</summary>
    private static async Task MoveAsync(string from, string to, CancellationToken cancellationToken)
    {
        foreach (var file in new DirectoryInfo(from).EnumerateFiles("*", SearchOption.AllDirectories).OrderBy(file => file.Directory!.FullName == Path.GetFullPath(from)))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file.FullName));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            await using var source = file.OpenRead();
            await using var copy = new FileStream(target, FileMode.CreateNew);
            await source.CopyToAsync(copy, cancellationToken);
            copy.Flush(flushToDisk: true);
        }
        Directory.Delete(from, recursive: true);
    }

    private static string PathOf(string state) => Path.Combine(state, "state");

    private static bool IsRunning(string state) => RunningServer.Read(state) is { } server && Directory.Exists($"/proc/{server.Pid}");
}
